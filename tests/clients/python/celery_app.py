"""The Celery application of the round trip: imported by the worker process and by the script that calls it."""

import os

from celery import Celery

app = Celery("leveret_round_trip", broker=os.environ["AMQP_URL"], backend="rpc://")
app.conf.update(
    task_default_queue=os.environ["CELERY_QUEUE"],
    broker_connection_retry_on_startup=True,
    result_expires=60,
    worker_hijack_root_logger=False,
)


@app.task
def add(left, right):
    return left + right


@app.task(bind=True, acks_late=True, max_retries=3)
def succeed_at_third_try(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.2)
    return self.request.retries


@app.task
def fail():
    raise ValueError("as it should")
