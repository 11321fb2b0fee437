"""The fluent functions about experiments."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from autolog import tracking
from autolog.backend import ExperimentQuery
from autolog.entities import Experiment, LifecycleStage, ViewType
from autolog.errors import AlreadyExists, InvalidParameter, InvalidState
from autolog.events import ExperimentUpdated
from autolog.pages import every_experiment
from autolog.tracking import ExperimentName
from autolog.values import to_text, to_view, validate_key


def set_experiment(experiment_name: str | None = None, experiment_id: str | None = None) -> Experiment:
    """Choose the experiment of the runs to come; one that is named and does not exist is made.

    Raises:
        InvalidParameter: neither or both of name and id are given.
        NotFound: no experiment has the id.
        InvalidState: the experiment is deleted.
    """
    if (experiment_name is None) == (experiment_id is None):
        raise InvalidParameter("give either experiment_name or experiment_id to set_experiment")
    if experiment_id is not None:
        found = get_experiment(experiment_id)
    else:
        name = validate_key("experiment", experiment_name)
        tracking.current().announce(tracking.name_experiment(name))
        existing = get_experiment_by_name(name)
        found = existing or Experiment(experiment_id=tracking.name_experiment(name).experiment_id, name=name)
    if found.lifecycle_stage is LifecycleStage.DELETED:
        raise InvalidState(
            f"the experiment {found.name!r} is deleted; "
            f"restore it first: autolog.restore_experiment({found.experiment_id!r})"
        )
    tracking.set_experiment_name(ExperimentName(found.experiment_id, found.name))
    return found


def create_experiment(name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None) -> str:
    """Make an experiment, and return its id. Raises AlreadyExists where the name is taken."""
    existing = get_experiment_by_name(validate_key("experiment", name))
    if existing is not None:
        raise AlreadyExists(f"an experiment named {name!r} exists already, with the id {existing.experiment_id}")
    texts = {validate_key("tag", key): to_text(value) for key, value in (tags or {}).items()}
    return tracking.current().create_experiment(tracking.name_experiment(name), artifact_location or "", texts)


def get_experiment(experiment_id: str) -> Experiment:
    """Return an experiment. Raises NotFound."""
    return tracking.current().reader().get_experiment(str(experiment_id))


def get_experiment_by_name(name: str) -> Experiment | None:
    """Return the experiment of a name, deleted or not; None where there is none."""
    return tracking.current().reader().get_experiment_by_name(name)


def search_experiments(
    view_type: ViewType | str | int = ViewType.ACTIVE_ONLY,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
) -> list[Experiment]:
    """Return the experiments that match a filter (see ``docs/search.md``); all of them where no limit is given."""
    query = ExperimentQuery(filter=filter_string or "", view=to_view(view_type), order_by=tuple(order_by or ()))
    return list(islice(every_experiment(tracking.current().reader(), query), max_results))


def delete_experiment(experiment_id: str) -> None:
    """Mark an experiment as deleted. Raises NotFound."""
    _change_experiment(experiment_id, lifecycle_stage=LifecycleStage.DELETED)


def restore_experiment(experiment_id: str) -> None:
    """Make a deleted experiment active again. Raises NotFound."""
    _change_experiment(experiment_id, lifecycle_stage=LifecycleStage.ACTIVE)


def rename_experiment(experiment_id: str, new_name: str) -> None:
    """Give an experiment another name. Raises NotFound, AlreadyExists."""
    if get_experiment_by_name(validate_key("experiment", new_name)) is not None:
        raise AlreadyExists(f"an experiment named {new_name!r} exists already")
    _change_experiment(experiment_id, name=new_name)


def set_experiment_tags(tags: Mapping[str, Any]) -> None:
    """Set tags on the current experiment."""
    where = tracking.current_experiment()
    tracking.current().announce(where)
    _record_experiment(where.experiment_id, tags=_to_texts(tags))


def set_experiment_tag(key: str, value: Any) -> None:
    """Set a tag on the current experiment."""
    set_experiment_tags({key: value})


def delete_experiment_tag(key: str) -> None:
    """Take a tag away from the current experiment."""
    where = tracking.current_experiment()
    tracking.current().announce(where)
    _record_experiment(where.experiment_id, tags={key: None})


def tag_experiment(experiment_id: str, tags: Mapping[str, Any]) -> None:
    """Set tags on an experiment; a tag whose value is None is taken away. Raises NotFound."""
    _change_experiment(experiment_id, tags=_to_texts(tags) | {key: None for key in tags if tags[key] is None})


def _to_texts(tags: Mapping[str, Any]) -> dict[str, str | None]:
    return {validate_key("tag", key): to_text(value) for key, value in tags.items()}


def _change_experiment(experiment_id: str, **changes: Any) -> None:
    get_experiment(experiment_id)
    _record_experiment(experiment_id, **changes)


def _record_experiment(experiment_id: str, **changes: Any) -> None:
    event = ExperimentUpdated(experiment_id=str(experiment_id), time=time.time_ns() // 1_000_000, **changes)
    tracking.current().recorder.record(event)
