"""The start of a script that trains with scikit-learn, with autolog."""

import time

started = time.perf_counter_ns()
import autolog  # noqa: E402

autolog.enable()
import sklearn.linear_model  # noqa: E402
import sklearn.pipeline  # noqa: E402
import sklearn.preprocessing  # noqa: E402, F401

ended = time.perf_counter_ns()

from subject import report  # noqa: E402

report({"script": [ended - started]})
