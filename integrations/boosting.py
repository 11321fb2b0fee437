"""What XGBoost's and LightGBM's trainings have in common: rounds, params, early stopping, continued models."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import FunctionType
from typing import Any, Final

from msgspec.structs import replace

from autolog.attribution import attribute_model, run_of_model
from autolog.entities import Dataset, DatasetInput, InputTag
from autolog.guard import guard
from autolog.hooks import Call
from autolog.rerouting import CODE_NAME
from autolog.run import ActiveRun

CONTINUED_TAG: Final = "autolog.continued_from"

# Arguments that a function of the user's own comes in.
_FUNCTIONS: Final = frozenset({"obj", "fobj", "feval", "custom_metric", "fpreproc"})


class Boosting:
    """A training of a booster: the run that it is recorded in, and how its rounds are named and counted there.

    Where a run holds several of them, as that of an ensemble does, the second one's names begin with ``train_2.``,
    the third one's with ``train_3.``.

    Args:
        run: where it is recorded.
        part: 1 for the first booster that is trained in the run, 2 for the second.
    """

    def __init__(self, run: ActiveRun, part: int) -> None:
        self.run: Final = run
        self.is_first: Final = part == 1
        self.owner: Final = "train" if self.is_first else f"train_{part}"
        self.prefix: Final = "" if self.is_first else f"{self.owner}."
        self.first_round = 0
        self.last_round: int | None = None
        self.model_size: int | None = None
        # What the folds of a cross-validation have scored in the present round.
        self.folds: Sequence[Sequence[Any]] = ()
        self._names: dict[tuple[str, str, str], str] = {}

    @contextmanager
    def current(self) -> Iterator[None]:
        """Let hooks around what the training calls know of it."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    # -- rounds ----------------------------------------------------------------------------------------------------

    def record(self, step: int, data: str, metric: str, value: float, kind: str = "") -> None:
        """Log what a metric was on a data set after a round.

        Args:
            step: the round, from 0; of a continued model counted on from the former one's last.
            data: the name of the evaluation set.
            metric: the name that the library has for the metric.
            value: its value.
            kind: empty, or what it is in a cross-validation: ``-mean``, ``-std``, ``-fold_0``.
        """
        key = data, metric, kind
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = f"{self.prefix}{data}-{metric}{kind}".replace("@", "_at_")
        self.run.log_metric(name, value, step)

    def record_history(self, history: Mapping[str, Mapping[str, Sequence[float]]], first_round: int = 0) -> None:
        """Log all rounds at once, of a training that has run elsewhere.

        Args:
            history: by evaluation set and metric the values of all rounds.
            first_round: how many rounds the model had before.
        """
        self.first_round = first_round
        for data, metrics in history.items():
            for metric, values in metrics.items():
                for step, value in enumerate(values, first_round):
                    self.record(step, data, metric, value)
                    self.last_round = max(self.last_round or 0, step)

    # -- before ----------------------------------------------------------------------------------------------------

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log params as texts; what stands in the run with another value keeps it, and ours gets a prefix."""
        from autolog.integrations.sklearn_params import describe_values, log_params

        values = {key: _find_users_own(value) for key, value in params.items()}
        log_params(self.run, self.owner, describe_values(values))

    def log_data(self, dataset: Dataset, context: str) -> None:
        """Log the use of a data set, for ``train`` or for ``eval``."""
        self.run.log_inputs([DatasetInput(dataset=dataset, tags=(InputTag("mlflow.data.context", context),))])

    def log_former_model(self, model: Any) -> None:
        """Tag the run with the model that its training goes on from.

        Args:
            model: a booster, a file's path or its content; None where there is none.
        """
        if model is None:
            return
        tags: dict[str, Any] = {}
        if isinstance(model, (str, os.PathLike)):
            from autolog.sources import digest_file

            tags[f"{CONTINUED_TAG}.path"] = path = os.fspath(model)
            if (digest := digest_file(path)) is not None:
                tags[f"{CONTINUED_TAG}.digest"] = digest
        elif isinstance(model, (bytes, bytearray)):
            import xxhash

            tags[f"{CONTINUED_TAG}.digest"] = xxhash.xxh3_64_hexdigest(model)
        elif (former := run_of_model(model)) is not None:
            tags[CONTINUED_TAG] = former.run_id
        self.run.set_tags(tags)

    # -- after -----------------------------------------------------------------------------------------------------

    def log_results(self, results: Mapping[str, float | None]) -> None:
        """Log numbers that a training has ended with; those that are None are not there."""
        self.run.log_metrics({self.prefix + name: value for name, value in results.items() if value is not None})

    def log_stopping(self, best_round: int, best_score: float | None) -> None:
        """Log where early stopping has found the best round; rounds are counted from 0, as the metrics' steps are."""
        self.log_results({"best_iteration": best_round, "stopped_iteration": self.last_round, "best_score": best_score})

    def log_importances(self, kind: str, importances: Mapping[str, Any]) -> None:
        """Log the importances of a booster's features as a figure's data.

        Args:
            kind: what was measured, such as ``gain``.
            importances: by the features' names; of a linear model for several classes a list for each.
        """
        import numpy as np

        from autolog.figures import feature_importance_figure, log_figures

        if importances:
            values = np.asarray(list(importances.values()), dtype=np.float64)
            values = np.abs(values).mean(axis=1) if values.ndim > 1 else values
            figure = feature_importance_figure(list(importances), values, kind)
            log_figures(self.run, [replace(figure, name=self.prefix + figure.name)])

    def log_model(self, booster: Any) -> None:
        """Note that what is computed with a booster from now on belongs to the run."""
        attribute_model(booster, self.run)


_current: Final[ContextVar[Boosting | None]] = ContextVar("autolog_boosting", default=None)


def current_boosting() -> Boosting | None:
    """Return the training of a booster that this code runs inside of."""
    return _current.get()


def begin(call: Call, objective: Any, name: str | None = None) -> Boosting | None:
    """Return where a training is to be recorded; None where that around it is recorded nowhere.

    Args:
        call: of the library's ``train`` or the like.
        objective: what is trained for: the library's name or a function; None where it is not told.
        name: the run's; by default the function's, with the objective in brackets.
    """
    if call.training is None or (call.is_nested and call.run is None):
        return None
    run = call.begin(name or _name(call, _find_users_own(objective)))
    return Boosting(run, call.training.number_part())


def begin_training(
    call: Call, objective: Any, former_model: Any, no_settings: Collection[str], log_data: Callable[[Boosting], None]
) -> Boosting | None:
    """Begin the record of a training with what it is given: params, the model that it goes on from, data.

    Args:
        call: of the library's ``train`` or ``cv``.
        objective: a function of the user's; else what the params say counts.
        former_model: a booster, its file, or None.
        no_settings: the names of the arguments that are no params.
        log_data: logs the data sets.

    Returns:
        None where the training around this one is recorded nowhere.
    """
    params = read_params(call.argument("params"))
    boosting = begin(call, objective or params.get("objective"))
    if boosting is None:
        return None
    with guard("recording params"):
        boosting.log_params({**read_arguments(call, no_settings), **params})
    with guard("recording the model that a training goes on from"):
        boosting.log_former_model(former_model)
    if boosting.run.tracking.settings.log_datasets and boosting.is_first:
        with guard("describing a data set"):
            log_data(boosting)
    return boosting


def _name(call: Call, objective: Any) -> str:
    if objective is not None and not isinstance(objective, str):
        objective = getattr(objective, "__name__", type(objective).__name__)
    name = f"{call.integration}.{call.function.__name__}"
    return f"{name}({objective})" if objective else name


def listed(values: Any) -> Sequence[Any]:
    """Return what a library takes one or several of as a sequence; what can be gone through once only is left alone."""
    if isinstance(values, (list, tuple)):
        return values
    return [] if values is None or isinstance(values, Iterator) else [values]


def read_params(params: Any) -> dict[str, Any]:
    """Return a booster's params from what a library takes for them: a dictionary, or a list of pairs."""
    if isinstance(params, dict):
        return dict(dict.items(params))
    if isinstance(params, (list, tuple)):
        found: dict[str, Any] = {}
        for key, value in params:
            # Several metrics are several pairs.
            found[key] = [*_listed(found[key]), value] if key in found else value
        return found
    return {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def read_arguments(call: Call, leave_out: Collection[str]) -> dict[str, Any]:
    """Return the settings among the arguments of a call, defaults included.

    Args:
        call: of the library's ``train`` or the like.
        leave_out: arguments that are data, models and the like; objectives and metrics of the user's are told anyway.
    """
    arguments = {}
    for parameter in inspect.signature(call.function).parameters.values():
        value = call.argument(parameter.name, parameter.default)
        is_nothing = value is None or (type(value) is list and not value)
        is_told = not is_nothing if parameter.name in _FUNCTIONS else parameter.name not in leave_out
        if is_told and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            arguments[parameter.name] = value
    return arguments


def _find_users_own(value: Any) -> Any:
    """Return the function that a library's scikit-learn API has wrapped; any other value as it is."""
    if isinstance(value, list):
        return [_find_users_own(item) for item in value]
    owner = value if isinstance(value, FunctionType) else type(value)
    if owner.__module__ not in {"xgboost.sklearn", "lightgbm.sklearn"}:
        return value
    if isinstance(value, FunctionType):
        cells = dict(zip(value.__code__.co_freevars, value.__closure__ or (), strict=True))
        return cells["func"].cell_contents if "func" in cells else value
    return vars(value).get("func", value)


def prepend(callbacks: Any, ours: Any) -> list[Any] | None:
    """Return a new list of callbacks with one more, at its beginning; None where the caller's is no list."""
    if callbacks is None:
        return [ours]
    return [ours, *callbacks] if isinstance(callbacks, (list, tuple, set, frozenset)) else None


def is_called_by(*modules: str) -> bool:
    """Say whether the function that a hook goes around is called by one of some modules."""
    frame = sys._getframe(1)  # noqa: SLF001  the documented way to the caller
    while frame.f_back is not None:
        frame = frame.f_back
        module = str(frame.f_globals.get("__name__", ""))
        is_ours = frame.f_code.co_name == CODE_NAME or module.partition(".")[0] in {"autolog", "wrapt", "contextlib"}
        if not is_ours:
            return module in modules
    return False
