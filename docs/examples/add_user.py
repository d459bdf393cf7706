"""Adds a user, or changes its password, with all rights in one vhost, which is made if it is not there.

    python add_user.py leveret-data joe secret shop

The broker must be stopped: it reads users and vhosts when it starts.
"""

import base64
import fcntl
import hashlib
import os
import sqlite3
import sys

data, user, password, vhost = sys.argv[1:]

with open(os.path.join(data, "leveret.lock"), "rb") as lock:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"a broker is running on {data}: stop it first")

    # RabbitMQ's format: base64 of a salt of four bytes and the SHA-256 of salt and password.
    salt = os.urandom(4)
    digest = hashlib.sha256(salt + password.encode()).digest()
    password_hash = base64.b64encode(salt + digest).decode()

    store = sqlite3.connect(os.path.join(data, "leveret.db"))
    with store:
        store.execute("INSERT OR IGNORE INTO vhost (name) VALUES (?)", [vhost])
        store.execute(
            "INSERT OR REPLACE INTO user (name, password_hash, hashing_algorithm, tags)"
            " VALUES (?, ?, 'rabbit_password_hashing_sha256', '')",
            [user, password_hash],
        )
        store.execute(
            "INSERT OR REPLACE INTO permission (user, vhost, configure, write, read)"
            " VALUES (?, ?, '.*', '.*', '.*')",
            [user, vhost],
        )
    store.close()
