"""A script that trains with scikit-learn and records nothing: how long until its imports are done."""

import time

started = time.perf_counter_ns()
import sklearn.linear_model  # noqa: E402, F401
import sklearn.pipeline  # noqa: E402
import sklearn.preprocessing  # noqa: E402, F401

script = time.perf_counter_ns() - started

from subject import report  # noqa: E402

report({"script": [script]})
