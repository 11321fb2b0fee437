"""The start of a script that trains with scikit-learn, with nothing that records it."""

import time

started = time.perf_counter_ns()
import sklearn.linear_model  # noqa: E402
import sklearn.pipeline  # noqa: E402
import sklearn.preprocessing  # noqa: E402, F401

ended = time.perf_counter_ns()

from subject import report  # noqa: E402

report({"script": [ended - started]})
