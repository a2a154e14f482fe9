"""The catalogue of documented behaviour of the real service that a plain fake lacks. All are on by default.

One file a topic; each quirk is announced by `quirk(...)` with its name, where AWS documents it and what it does.
"""
