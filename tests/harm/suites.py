"""The tests that nobody here wrote: which there are, and which of them every commit can afford."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_FOREIGN: Final = Path(__file__).parent / "foreign"

# Every suite is a process without autolog and one with it. A suite's name is what `run.py` takes.
WHOLE: Final[dict[str, tuple[str, ...]]] = {
    "base": ("sklearn.tests.test_base", "sklearn.tests.test_metadata_routing", "sklearn.tests.test_pipeline"),
    "routing": ("sklearn.tests.test_metaestimators_metadata_routing", "sklearn.tests.test_metaestimators"),
    "common": ("sklearn.tests.test_common",),
    "calibration": ("sklearn.tests.test_calibration", "sklearn.tests.test_multioutput"),
    "model_selection": ("sklearn.model_selection",),
    "linear_model": ("sklearn.linear_model",),
    "ensemble": ("sklearn.ensemble",),
    "metrics": ("sklearn.metrics",),
    "imblearn": ("imblearn",),
    "xgboost": (str(_FOREIGN / "xgboost_functions.py"),),
    "boosting_estimators": (str(_FOREIGN / "estimator_checks.py"),),
    "torch_optim": (str(_FOREIGN / "torch_optimizers.py"),),
    "torch_nn": (str(_FOREIGN / "torch_modules.py"),),
    "torch_autograd": (str(_FOREIGN / "torch_gradients.py"),),
    "torch_compile": (str(_FOREIGN / "torch_compilers.py"),),
    "keras_trainer": (str(_FOREIGN / "keras_trainer.py"),),
}

# Every process imports scikit-learn's tests anew, so that there are few.
PART: Final[dict[str, tuple[str, ...]]] = {
    "part": (
        "sklearn.tests.test_base",
        "sklearn.tests.test_pipeline",
        "sklearn.tests.test_metadata_routing",
        "sklearn.model_selection.tests.test_search",
        "sklearn.linear_model.tests.test_base",
        "sklearn.ensemble.tests.test_forest::test_classification_toy",
        "sklearn.ensemble.tests.test_forest::test_regression_criterion",
        "sklearn.ensemble.tests.test_forest::test_warm_start",
        "sklearn.metrics.tests.test_score_objects",
    ),
    "boosting_estimators": (str(_FOREIGN / "estimator_checks.py"),),
    "torch": (
        *(
            f"{_FOREIGN / 'torch_optimizers.py'}::{name}"
            for name in ("test_steps", "test_hooks_of_the_users_are_called_in_their_order")
        ),
        *(
            f"{_FOREIGN / 'torch_modules.py'}::{name}"
            for name in ("test_a_step_of_training", "test_hooks_of_modules_are_called_as_ever")
        ),
        str(_FOREIGN / "torch_gradients.py"),
        *(
            f"{_FOREIGN / 'torch_compilers.py'}::{name}"
            for name in ("test_a_compiled_network_is_trained", "test_symbolic_traces")
        ),
    ),
    "keras": tuple(
        f"{_FOREIGN / 'keras_trainer.py'}::{name}"
        for name in (
            "test_fit[printing]",
            "test_callbacks_are_called_as_ever",
            "test_single_batches",
            "test_a_train_step_of_ones_own",
        )
    ),
}
