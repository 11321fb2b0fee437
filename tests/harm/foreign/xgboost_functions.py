"""The tests that XGBoost ships as functions, in ``xgboost.testing``, with every argument they take."""

from __future__ import annotations

import importlib
import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import numpy
import pandas
import pytest
import xgboost
from sklearn.datasets import load_breast_cancer, load_digits

MODULES = (
    *("basic_models", "callbacks", "continuation", "data", "data_iter", "interaction_constraints", "intercept"),
    *("metrics", "multi_target", "ordinal", "parse_tree", "predict", "quantile_dmatrix", "ranking", "updater"),
    "with_skl",
)
# What XGBoost's own test files, which it does not ship, call them with.
VALUES: dict[str, tuple[Any, ...]] = {
    "device": ("cpu",),
    "tdevice": ("cpu",),
    "tree_method": ("hist", "approx"),
    "weighted": (False, True),
    "n_samples": (100,),
    "multi_strategy": ("multi_output_tree", "one_output_per_tree"),
    "grow_policy": ("depthwise", "lossguide"),
    "sampling_method": ("uniform",),
    "learning_rate": (None, 0.5),
    "objective": ("rank:ndcg", "rank:pairwise"),
    "impl": (pandas,),
    "DMatrixT": (xgboost.DMatrix, xgboost.QuantileDMatrix),
    "DType": (numpy.array,),
    "estimator": (xgboost.XGBClassifier,),
    "as_frame": (None, pandas.DataFrame),
    "rows": (100,),
    "cols": (10,),
    "rounds": (4,),
    "cats": (5,),
    "extmem": (False,),
    "n_samples_per_batch": (64,),
    "n_features": (8,),
    "n_batches": (3,),
    "n_bins": (16,),
    "on_host": (False,),
    "use_cupy": (False,),
    "X": (0,),
    "y": (1,),
    "dtrain": (0,),
    "dtest": (1,),
}
# Made anew for each test, since it may change them.
MADE = {"X", "y", "dtrain", "dtest"}


# The first takes minutes; of the second, the objectives go with some tree methods only.
LEFT_OUT = {"run_training_continuation", "run_eta_decay_leaf_output"}


def cases() -> Iterator[Any]:
    """Yield every function with every combination of its arguments."""
    for name in MODULES:
        module = importlib.import_module(f"xgboost.testing.{name}")
        for function in vars(module).values():
            own = getattr(function, "__module__", None) == module.__name__ and inspect.isfunction(function)
            if not own or not function.__name__.startswith(("run_", "check_")):
                continue
            needed = [key for key, each in inspect.signature(function).parameters.items() if each.default is each.empty]
            if not set(needed) <= VALUES.keys():
                continue
            if function.__name__ in LEFT_OUT:
                continue
            for number, values in enumerate(itertools.product(*(VALUES[key] for key in needed))):
                arguments = dict(zip(needed, values, strict=True))
                yield pytest.param(function, arguments, id=f"{name}-{function.__name__}-{number}")


@pytest.mark.parametrize(("function", "arguments"), list(cases()))
def test_what_xgboost_ships(function, arguments):
    features, targets = (load_digits if "multi" in function.__name__ else load_breast_cancer)(return_X_y=True)
    made = {"X": features, "y": targets}
    if "dtrain" in arguments:
        made |= {key: xgboost.DMatrix(features, targets) for key in ("dtrain", "dtest")}
    function(**{key: made[key] if key in MADE else value for key, value in arguments.items()})
