"""Cache-aside: what comes from Redis, what may not, and life without Redis."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from backend.cache.link import Link
from backend.cache.memory import Lease, Memory
from backend.cache.offers import Offers
from backend.cache.wire import RedisError, SingleWire
from backend.entities import Origin, UserFields
from backend.errors import NotFound
from backend.observability.instruments import Instruments
from backend.repository.pool import Pool
from backend.repository.users import UserRepository

from app.backend.tests.parts import service_of, wire_settings

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
ADA_KING = {"name": "Ada King", "email": "ada@example.com", "status": "active"}


def x_cache(api: Any, path: str = "/api/users/1") -> str:
    answer = api("GET", path)
    assert answer.status == 200
    return str(answer.headers["X-Cache"])


def test_the_second_read_of_a_user_comes_from_redis(api: Any, sql: Any) -> None:
    api("POST", "/api/users", ADA)
    assert x_cache(api) == "miss"
    sql("UPDATE users SET name = 'changed behind the cache'")
    assert x_cache(api) == "hit"
    assert api("GET", "/api/users/1").json["name"] == "Ada Lovelace"


def test_the_second_read_comes_from_redis_whichever_process_is_asked(start: Any) -> None:
    here, there = (start().api for _ in range(2))
    for user_id in range(1, 31):
        assert here("POST", "/api/users", {"name": "Ada", "email": f"ada{user_id}@example.com"}).json["id"] == user_id
        assert x_cache(here, f"/api/users/{user_id}") == "miss"
        assert x_cache(there, f"/api/users/{user_id}") == "hit"


def test_a_copy_lives_five_minutes_under_the_users_key(api: Any, redis_server: Any) -> None:
    api("POST", "/api/users", ADA)
    api("GET", "/api/users/1")
    assert redis_server.client().keys() == ["user:{1}"]
    assert 295 <= redis_server.client().ttl("user:{1}") <= 300


def test_a_change_is_seen_by_the_next_read(api: Any) -> None:
    api("POST", "/api/users", ADA)
    api("GET", "/api/users/1")
    api("PUT", "/api/users/1", ADA_KING)
    read = api("GET", "/api/users/1")
    assert (read.headers["X-Cache"], read.json["name"]) == ("miss", "Ada King")
    assert x_cache(api) == "hit"


def test_a_deleted_user_is_not_read_from_a_copy(api: Any) -> None:
    api("POST", "/api/users", ADA)
    api("GET", "/api/users/1")
    api("DELETE", "/api/users/1")
    assert api("GET", "/api/users/1").status == 404


def test_a_value_of_another_shape_is_a_miss_and_replaced(start: Any, redis_server: Any) -> None:
    api = start(NEAR_CACHE_ROWS="0").api
    api("POST", "/api/users", ADA)
    for value in ("garbage", "1:[1]", "x:{}", "1:not json"):
        redis_server.client().set("user:{1}", value)
        assert x_cache(api) == "miss"
        assert redis_server.client().get("user:{1}").startswith('1:{"id":1,')


class SlowRepository(UserRepository):
    """Stops after a row was read until it is told to go on: the moment in which another client writes."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, Instruments().invocations)
        self.has_read, self.go_on = threading.Event(), threading.Event()
        self.reads = 0

    def get(self, user_id: int) -> Any:
        self.reads += 1
        user = super().get(user_id)
        self.has_read.set()
        assert self.go_on.wait(10)
        return user


@pytest.mark.parametrize("write", ["update", "delete"])
def test_a_row_read_before_a_write_is_not_cached_after_it(write: str, start: Any, redis_server: Any) -> None:
    running = start()
    running.api("POST", "/api/users", ADA)
    slow = SlowRepository(running.backend.pool)
    link = Link(SingleWire(wire_settings(redis_server)))
    reader = threading.Thread(target=service_of(running.backend.pool, link, slow).get, args=(1,))
    reader.start()
    assert slow.has_read.wait(10)
    if write == "update":
        running.api("PUT", "/api/users/1", ADA_KING)
    else:
        running.api("DELETE", "/api/users/1")
    slow.go_on.set()
    reader.join(10)
    read = running.api("GET", "/api/users/1")
    assert read.json["name"] == "Ada King" if write == "update" else read.status == 404


def test_without_redis_everything_goes_on_from_the_database(api: Any, own_redis: Any, until: Any) -> None:
    api("POST", "/api/users", ADA)
    assert x_cache(api) == "miss"
    assert x_cache(api) == "hit"
    own_redis.kill()
    until(lambda: x_cache(api) == "miss")  # what is in memory may be used until the service has noticed
    assert [x_cache(api), x_cache(api)] == ["miss", "miss"]
    assert api("PUT", "/api/users/1", ADA_KING).status == 200
    assert api("GET", "/api/users/1").json["name"] == "Ada King"
    assert api("DELETE", "/api/users/1").status == 204


def test_the_cache_is_used_again_once_redis_is_back(api: Any, own_redis: Any, until: Any) -> None:
    api("POST", "/api/users", ADA)
    own_redis.kill()
    assert x_cache(api) == "miss"
    own_redis.start()
    until(lambda: x_cache(api) == "hit")


def test_a_service_without_a_cache_reads_from_the_database(start: Any) -> None:
    running = start(REDIS_HOST="")
    running.api("POST", "/api/users", ADA)
    assert [x_cache(running.api), x_cache(running.api)] == ["miss", "miss"]
    running.api("PUT", "/api/users/1", ADA_KING)
    assert running.api("DELETE", "/api/users/1").status == 204
    assert "redis" not in running.management("GET", "/actuator/health").json["components"]


class Switchable(SingleWire):
    """A way to Redis that can be cut while Redis itself, and its copies, stay."""

    cut = False

    def ask(self, commands: Any) -> list[Any]:
        if self.cut:
            raise RedisError("cut")
        return super().ask(commands)


def test_a_write_that_redis_did_not_hear_of_is_told_before_the_next_read(database: Any, redis_server: Any) -> None:
    redis_server.client().flushall()
    pool, now = Pool(database), [100.0]
    connection = Switchable(wire_settings(redis_server))
    service = service_of(pool, Link(connection, clock=lambda: now[0]))
    user = service.create(_fields("Ada"), Origin())
    service.get(user.id)
    assert service.get(user.id)[1] is True
    connection.cut = True
    service.update(user.id, _fields("Ada King"), Origin())
    gone = service.create(_fields("Bob", "bob@example.com"), Origin())
    service.delete(gone.id, Origin())
    connection.cut = False
    now[0] += 60
    assert json.loads(service.get(user.id)[0].body)["name"] == "Ada King"
    assert service.get(user.id)[1] is True
    with pytest.raises(NotFound):
        service.get(gone.id)
    pool.close()


def test_what_redis_did_not_hear_of_is_not_read_from_memory_and_told_by_the_next_read_of_anybody(
    database: Any, redis_server: Any
) -> None:
    redis_server.client().flushall()
    pool, now, lease = Pool(database), [100.0], Lease()
    lease.until = float("inf")
    connection = Switchable(wire_settings(redis_server))
    service = service_of(pool, Link(connection, clock=lambda: now[0]), memory=Memory(lease, 10))
    ada, bob = (service.create(_fields(name, f"{name}@example.com"), Origin()) for name in ("ada", "bob"))
    for user in (ada, bob):
        assert [service.get(user.id)[1] for _ in range(3)] == [False, True, True]
    connection.cut = True
    service.update(ada.id, _fields("Ada King"), Origin())
    assert json.loads(service.get(ada.id)[0].body)["name"] == "Ada King"
    connection.cut = False
    now[0] += 60
    service.get(bob.id)
    assert redis_server.client().get(f"user:{{{ada.id}}}") == "2:"
    assert json.loads(service.get(ada.id)[0].body)["name"] == "Ada King"
    pool.close()


def test_after_a_failure_reads_leave_redis_alone_for_a_moment(database: Any, redis_server: Any) -> None:
    redis_server.client().flushall()
    pool, now = Pool(database), [100.0]
    connection = Switchable(wire_settings(redis_server))
    service = service_of(pool, Link(connection, clock=lambda: now[0]))
    user = service.create(_fields("Ada"), Origin())
    service.get(user.id)
    connection.cut = True
    assert service.get(user.id)[1] is False
    connection.cut = False
    now[0] += 1.9
    assert service.get(user.id)[1] is False
    now[0] += 0.2
    assert service.get(user.id)[1] is True
    pool.close()


def _fields(name: str, email: str = "ada@example.com") -> Any:
    return UserFields(name=name, email=email, status="active")


def test_that_a_user_does_not_exist_is_kept_for_a_moment(api: Any, sql: Any, redis_server: Any) -> None:
    assert api("GET", "/api/users/7").status == 404
    assert redis_server.client().get("user:{7}") == "0:!"
    assert 5 <= redis_server.client().ttl("user:{7}") <= 10
    sql("INSERT INTO users (id, name, email) OVERRIDING SYSTEM VALUE VALUES (7, 'Behind', 'behind@example.com')")
    assert api("GET", "/api/users/7").status == 404
    redis_server.client().delete("user:{7}")
    assert api("GET", "/api/users/7").status == 200


def test_a_user_is_there_as_soon_as_it_is_created_though_somebody_asked_before(api: Any) -> None:
    registration = {"name": "Bob", "email": "bob@example.com", "password": "correct horse battery"}
    bodies = [("/api/users", ADA, {}), ("/api/auth/register", registration, {})]
    bodies.append(("/api/users", {"name": "Eve", "email": "eve@example.com"}, {"Idempotency_Key": "k"}))
    for user_id, (path, body, headers) in enumerate(bodies, 1):
        assert api("GET", f"/api/users/{user_id}").status == 404
        assert api("POST", path, body, **headers).json["id"] == user_id
        assert api("GET", f"/api/users/{user_id}").status == 200


def test_of_many_who_miss_a_user_at_once_one_asks_the_database(database: Any, redis_server: Any, until: Any) -> None:
    redis, pool = redis_server.client(), Pool(database)
    redis.flushall()
    slow, link = SlowRepository(pool), Link(SingleWire(wire_settings(redis_server)))
    offers = Offers(link, late_s=3600, burst=0)  # who waited for the copy finds it, though its time has not come
    offers.start()
    service = service_of(pool, link, slow, offers=offers)
    user = service.create(_fields("Ada"), Origin())
    redis.flushall()
    redis.config_resetstat()
    found: list[tuple[str, bool]] = []

    def read() -> None:
        copy, hit = service.get(user.id)
        found.append((json.loads(copy.body)["name"], hit))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    until(lambda: redis.info("commandstats").get("cmdstat_get", {}).get("calls") == 4)  # all have missed
    slow.go_on.set()
    for reader in readers:
        reader.join(10)
    assert sorted(found) == [("Ada", False), ("Ada", True), ("Ada", True), ("Ada", True)]
    assert slow.reads == 1
    offers.close()
    pool.close()
