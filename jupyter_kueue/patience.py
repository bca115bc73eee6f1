"""How long the server side waits for others, and how long it pauses between retries.

No value here is an expectation of how fast a machine is. Where something may take long, the limit
is a safety net: waiting code is woken as soon as its condition holds. The age of a cached answer is
not defined here (``service.short_lived_cache``), and code that runs in a pod has its own values, in
``contract.pod_contract`` and ``runner``. How long a run may be in a state before that means
something is a decision of ``domain``.
"""

from __future__ import annotations

# --- Requests to a server that is starting ---

# Proxies in front of a Jupyter server, such as nginx (proxy_read_timeout), give up after 60 s. The
# server answers before that, and says what it is waiting for.
REQUEST_SECONDS = 50.0
# What a client is asked to wait before it repeats a request that met an outage (Retry-After).
RETRY_AFTER_SECONDS = 5

# --- Connecting ---

# A cluster or a bucket that is set up later is found without a restart.
CONNECT_FIRST_PAUSE_SECONDS = 0.5
CONNECT_LONGEST_PAUSE_SECONDS = 15.0

# --- The Kubernetes API ---

# For a TCP connection, which the API server's kernel accepts however busy the API server is. A
# longer wait means that packets are lost.
CLUSTER_CONNECT_SECONDS = 5.0
# Kubernetes itself ends a request other than a watch after 60 s (kube-apiserver's
# --request-timeout). The pulse reports an API server that hangs long before.
CLUSTER_ANSWER_SECONDS = 30.0
# A collection comes in a single answer, however large it is and however slow the line.
CLUSTER_LIST_SECONDS = 120.0
# For a complete log.
CLUSTER_LOG_SECONDS = 60.0
# How long the API server keeps a watch open; Kubernetes' own clients request 5 to 10 minutes. A
# connection that was lost without notice lasts no longer than this and the margin together.
CLUSTER_WATCH_SECONDS = 300
CLUSTER_WATCH_MARGIN_SECONDS = 30
# What ``/readyz`` adds to a refusal is not worth a longer wait.
CLUSTER_READY_SECONDS = 5.0
# Usage, quotas, positions and an admin's profiles add detail to an answer. Without them it says
# that they are unknown, which is better than a longer wait.
CLUSTER_DETAIL_SECONDS = 5.0
# Closing a TLS connection takes one round trip, which aiohttp does not wait for.
CLUSTER_GOODBYE_SECONDS = 0.1

# Between two attempts to watch. When the API server is back, all pauses end (cluster.availability).
WATCH_FIRST_PAUSE_SECONDS = 0.2
WATCH_LONGEST_PAUSE_SECONDS = 10.0
# The API server has just come back, and refuses requests that it will soon allow.
WATCH_LONGEST_PAUSE_WHILE_RECOVERING_SECONDS = 1.0
# A watch that ended earlier without an event was turned away, by a proxy or by an API server that
# is shutting down. It does not reset the pauses.
WATCH_SHORT_SECONDS = 1.0
# A refusal after an outage, or of something that was allowed before, counts only if it lasts this
# long: an API server that has just started may not have read its roles yet.
CLUSTER_SETTLING_SECONDS = 60.0

# An API server that hangs is noticed after the first and the last of these together, one that is
# back after the second. More frequent requests, from every server, would be unnecessary load.
PULSE_SECONDS = 3.0
PULSE_WHILE_AWAY_SECONDS = 1.0
PULSE_ANSWER_SECONDS = 3.0

# Between two reads of the events of a run that does not start (backoff.pause_by_age).
START_EVENTS_SHORTEST_PAUSE_SECONDS = 1.0
START_EVENTS_LONGEST_PAUSE_SECONDS = 15.0

# --- Runs and schedules (service.work_queue) ---

# Before one that could not be looked at is looked at again. One that changes meanwhile is looked at
# at once, and all that are not finished are with the next comparison.
LOOK_FIRST_RETRY_SECONDS = 0.5
LOOK_LONGEST_RETRY_SECONDS = 15.0
# Between two tries to list what the bucket has.
LIST_FIRST_RETRY_SECONDS = 2.0
LIST_LONGEST_RETRY_SECONDS = 10.0
# How often the bucket is asked for results while the cluster is away.
RESULTS_WHILE_AWAY_SECONDS = 15.0
# Between two looks whether a pod's inputs have arrived (backoff.pause_by_age).
STAGING_SHORTEST_PAUSE_SECONDS = 0.25
STAGING_LONGEST_PAUSE_SECONDS = 5.0

# --- The bucket ---

BUCKET_CONNECT_SECONDS = 3
# For one request, in a pod. Large objects are transferred in parts, each in its own request.
BUCKET_ANSWER_SECONDS = 30
BUCKET_RETRIES = 3
BUCKET_RETRY_SECONDS = 10
# In a server a user is waiting. A pod, with the values above, retries for minutes.
BUCKET_ANSWER_SECONDS_IN_SERVER = 10
BUCKET_RETRIES_IN_SERVER = 1
BUCKET_RETRY_SECONDS_IN_SERVER = 3
# How long a single object that cannot be read, while others can, may keep lists from being shown.
UNREAD_OBJECT_SECONDS = 60.0

# --- What a user waits for ---

# For each check of ``health``, so that one that hangs does not hide the others. It is longer than
# the pulse needs to notice an API server that hangs, so that the report names the cause.
HEALTH_CHECK_SECONDS = 8.0
# For undoing a submit that failed. What is left after that is cleaned up later.
TAKE_BACK_SECONDS = 5.0
# For the lock on jupyter-scheduler's database, which its server holds while it writes a row.
STOCK_DATABASE_LOCK_SECONDS = 3.0
