"""A Celery worker and its caller: tasks, results, retries, failures and remote control."""

import os
import subprocess
import sys
import uuid

from checks import check, finish, url

os.environ["AMQP_URL"] = url()
os.environ["CELERY_QUEUE"] = f"celery-{uuid.uuid4()}"

from celery import group  # noqa: E402  (the application reads the variables above)

from celery_app import add, app, fail, succeed_at_third_try  # noqa: E402


def start_worker():
    command = [sys.executable, "-W", "ignore", "-m", "celery", "--quiet", "-A", "celery_app", "worker"]
    options = ["--pool=solo", "--loglevel=critical", "-n", f"worker-{uuid.uuid4()}@localhost"]
    here = os.path.dirname(os.path.abspath(__file__))
    return subprocess.Popen(command + options, cwd=here)


def main():
    worker = start_worker()
    try:
        check("celery: a task returns its result", add.delay(2, 3).get(timeout=60) == 5)
        results = group(add.s(n, n) for n in range(50))().get(timeout=60)
        check("celery: a group of 50 tasks returns all results", results == [2 * n for n in range(50)])
        check("celery: a task succeeds at the third try", succeed_at_third_try.delay().get(timeout=60) == 2)
        try:
            fail.delay().get(timeout=60)
            raised = False
        except ValueError:
            raised = True
        check("celery: an exception comes back to the caller", raised)
        pongs = app.control.ping(timeout=5)
        check("celery: the worker answers a broadcast", len(pongs) == 1)
    finally:
        worker.terminate()
    check("celery: the worker stops cleanly", worker.wait(timeout=60) == 0)
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete(os.environ["CELERY_QUEUE"])
    finish()


main()
