"""A local AWS API that behaves like AWS: moto's backends behind a gateway that checks signatures, logs every call,
injects faults, makes transitions take time and shows the documented quirks of the real service."""
