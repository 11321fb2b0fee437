"""What an Optuna study was told: what to optimise, how it draws trials, and when it prunes them."""

from __future__ import annotations

import functools
import inspect
import weakref
from typing import Any, Final

from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations.sklearn_params import describe_value, describe_values
from autolog.integrations.trials import kept_settings

ATTRIBUTE_TAG: Final = "user_attr."

# A study that nobody has named gets a name that is another one every time.
_UNNAMED: Final = "no-name-"
# Arguments of ``optimize`` that say nothing of what is searched for.
_NO_SETTINGS: Final = frozenset({"self", "func", "callbacks", "gc_after_trial", "show_progress_bar"})

# The seeds of samplers' random states, which keep only what they have made of them.
_seeds: Final[weakref.WeakKeyDictionary[Any, int | None]] = weakref.WeakKeyDictionary()


def note_seed(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note what a sampler's random state is seeded with."""
    state, seed = args
    _seeds[state] = seed


def name_study(study: Any) -> str:
    """Return a study's name; of one that nobody has named, its sampler's."""
    name: str = study.study_name
    return f"Study({type(study.sampler).__name__})" if name.startswith(_UNNAMED) else name


def describe_study(study: Any) -> dict[str, str]:
    """Return what a study searches for and how, as params."""
    directions = [direction.name.lower() for direction in study.directions]
    told = {
        "study_name": study.study_name,
        **({"direction": directions[0]} if len(directions) == 1 else {"directions": directions}),
        **_describe_part("sampler", study.sampler),
        **_describe_part("pruner", study.pruner),
    }
    return describe_values(told)


def tag_study(study: Any) -> dict[str, str]:
    """Return the attributes that the user has given a study, as tags."""
    return {f"{ATTRIBUTE_TAG}{name}": describe_value(value) for name, value in study.user_attrs.items()}


def describe_call(call: Call) -> dict[str, str]:
    """Return what ``optimize`` was told, defaults included, as params."""
    objective = call.argument("func")
    while isinstance(objective, functools.partial):
        objective = objective.func
    settings = {
        name: call.argument(name, parameter.default)
        for name, parameter in inspect.signature(call.function).parameters.items()
        if name not in _NO_SETTINGS
    }
    return describe_values({"objective": objective, **settings})


def _describe_part(name: str, part: Any) -> dict[str, Any]:
    """Return the class of a sampler or pruner, and what its constructor was told, as far as that is known."""
    described: dict[str, Any] = {name: type(part).__name__}
    with guard(f"describing the {name} of a study"):
        described.update({f"{name}.{setting}": value for setting, value in kept_settings(part).items()})
        for value in vars(part).values():
            if type(value).__name__ == "LazyRandomState" and value in _seeds:
                described[f"{name}.seed"] = _seeds[value]
                break
    return described
