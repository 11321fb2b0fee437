"""What is recorded of a training loop when an optimizer does its first step in it: params, data sets, the summary."""

from __future__ import annotations

from collections.abc import Iterable
from types import FrameType
from typing import Any

import torch

from autolog.callers import name_in, variables_in
from autolog.entities import Dataset, DatasetInput, InputTag
from autolog.guard import guard
from autolog.integrations.sklearn_params import describe_values, log_params
from autolog.integrations.torch_distributed import describe_job
from autolog.integrations.torch_models import COMPILED, describe_model, find_wrappers, is_sharded, summarize
from autolog.integrations.torch_optimizers import describe_optimizer, describe_schedulers, schedulers_of
from autolog.integrations.torch_origins import Origin
from autolog.integrations.torch_threads import LossCall, Seen
from autolog.run import ActiveRun


def log_training(
    run: ActiveRun,
    optimizer: Any,
    model: Any,
    origins: Iterable[Origin],
    seen: Seen,
    frame: FrameType | None,
    number: int,
    name: str,
) -> None:
    """Log what an optimizer trains, and how.

    Args:
        run: to log to.
        optimizer: which has just done its first step.
        model: what it trains; None where that is not known, or was logged before.
        origins: of the losses.
        seen: what the thread has seen before the step.
        frame: of the user's own code.
        number: 1 for the first optimizer of the loop.
        name: of the optimizer; what belongs to the second and further ones begins with it.
    """
    params = describe_optimizer(optimizer) | describe_schedulers(schedulers_of(optimizer))
    if model is not None:
        with guard("describing a model"):
            params |= describe_model(model)
            params |= _describe_wrappers(model, optimizer, frame)
            _log_summary(run, model, seen, number)
    if number == 1:
        with guard("describing losses"):
            params |= _describe_losses(origins, seen)
        for describe in (_describe_loader, _describe_precision):
            with guard("describing a training loop"):
                params |= describe(seen)
        params |= {key: value for key, value in seen.clipping.items() if value is not None}
        seen.clipping = {}
        with guard("describing the state of PyTorch"):
            params |= describe_process()
        if run.tracking.settings.log_datasets:
            with guard("describing a data set"):
                _log_data(run, seen, frame)
    else:
        params = {f"{name}.{key}": value for key, value in params.items()}
    log_params(run, "torch", describe_values(params))


def _describe_wrappers(model: Any, optimizer: Any, frame: FrameType | None) -> dict[str, Any]:
    """Return whether a model is compiled, and the class of what distributes it."""
    wrappers = find_wrappers(model, optimizer, frame)
    strategies = [name for name in wrappers if name != COMPILED]
    if is_sharded(model):
        strategies.append(type(model).__bases__[0].__name__)
    described: dict[str, Any] = {}
    if COMPILED in wrappers or getattr(model, "_compiled_call_impl", None) is not None:
        described["torch_compile"] = True
    if strategies:
        described["strategy"] = ", ".join(strategies)
    return described


def name_optimizer(optimizer: Any, frame: FrameType | None) -> str | None:
    """Return the name that an optimizer has in the user's code, as a variable or as an attribute of ``self``."""
    return None if frame is None else name_of(optimizer, frame)


def name_of(value: Any, frame: FrameType) -> str | None:
    """Return the name of a variable, or of an attribute of ``self``, that holds an object."""
    name = name_in(frame, value)
    if name is None:
        attributes = getattr(variables_in(frame).get("self"), "__dict__", {})
        name = next((key for key, one in list(attributes.items()) if one is value), None)
    return name


# -- losses ------------------------------------------------------------------------------------------------------------


def _describe_losses(origins: Iterable[Origin], seen: Seen) -> dict[str, Any]:
    described: dict[str, Any] = {}
    counts: dict[tuple[int, int], int] = {}
    for code, offset, _ in seen.backwards:
        place = id(code), offset
        counts[place] = counts.get(place, 0) + 1
    if (most := max(counts.values(), default=1)) > 1:
        described["gradient_accumulation_steps"] = most
    calls: dict[Any, LossCall] = {}
    names = []
    for origin in origins:
        if origin.own is not None:
            names.append(_name_function(origin.own[0]))
        else:
            calls |= {call.function: call for call in ([origin.call] if origin.call is not None else origin.parts)}
    names += [call.module or call.function.__name__ for call in calls.values()]
    if names:
        described["loss_function"] = ", ".join(dict.fromkeys(names))
    if len(names) == 1:
        for call in calls.values():
            described |= {f"loss_{name}": value for name, value in call.settings.items()}
    return described


def _name_function(function: Any) -> str:
    """Return a function's name, and that of the class where it is what a module computes."""
    owner, _, name = function.__qualname__.rpartition(".")
    return str(owner.rpartition(".")[2] if name == "forward" and owner else name)


# -- data --------------------------------------------------------------------------------------------------------------


def _describe_loader(seen: Seen) -> dict[str, Any]:
    loader = None if seen.current is None else seen.current.loader()
    return {} if loader is None else describe_loader(loader)


def describe_loader(loader: Any) -> dict[str, Any]:
    """Return the settings of a ``DataLoader``, and the class and length of what it loads."""
    # Where batches are sampled as a whole, as accelerate's are, the loader has a sampler that nothing comes from.
    batches = getattr(loader, "batch_sampler", None)
    sampler = getattr(batches, "sampler", None) or getattr(loader, "sampler", None)
    described = {
        "batch_size": getattr(loader, "batch_size", None) or getattr(batches, "batch_size", None),
        "num_workers": getattr(loader, "num_workers", None),
        # A DistributedSampler says so itself.
        "shuffle": type(sampler).__name__.endswith("RandomSampler") or getattr(sampler, "shuffle", False) is True,
        "drop_last": getattr(loader, "drop_last", None),
        "sampler": type(sampler).__name__ if sampler is not None else None,
        "dataset_class": type(loader.dataset).__name__,
        "dataset_size": _length(loader.dataset),
    }
    return {name: value for name, value in described.items() if value is not None}


def _length(dataset: Any) -> int | None:
    """Return a data set's length; an iterable one is not asked, which may count by reading."""
    if isinstance(dataset, torch.utils.data.IterableDataset) or not hasattr(type(dataset), "__len__"):
        return None
    return len(dataset)


def _log_data(run: ActiveRun, seen: Seen, frame: FrameType | None) -> None:
    loader = None if seen.current is None else seen.current.loader()
    if loader is None:
        return
    dataset = loader.dataset
    name = (name_of(dataset, frame) or name_of(loader, frame)) if frame is not None else None
    described = describe_dataset(dataset, name or "dataset", seen.losses[-1].inputs if seen.losses else [])
    run.log_inputs([DatasetInput(dataset=described, tags=(InputTag("mlflow.data.context", "train"),))])


def describe_dataset(dataset: Any, name: str, batch: list[str]) -> Dataset:
    """Describe a data set: the tensors that it holds in memory, or else its class, its length and a batch's shapes."""
    import json

    import xxhash

    from autolog.datasets import describe

    tensors = dataset.tensors if type(dataset) is torch.utils.data.TensorDataset else ()
    # NumPy has no such numbers.
    if tensors and all(one.is_cpu and one.dtype is not torch.bfloat16 and not one.is_sparse for one in tensors):
        arrays = [one.detach().numpy() for one in tensors[:2]]
        return describe(arrays[0], arrays[1] if len(arrays) > 1 else None, name=name)
    profile = {"type": type(dataset).__name__, "num_rows": _length(dataset), "batch": batch}
    text = json.dumps(profile)
    return Dataset(name=name, digest=xxhash.xxh3_64_hexdigest(text.encode()), schema=None, profile=text)


# -- surroundings ------------------------------------------------------------------------------------------------------


def _describe_precision(seen: Seen) -> dict[str, Any]:
    described: dict[str, Any] = {}
    dtype = next((call.autocast for call in seen.losses if call.autocast), None)
    if dtype is not None:
        described |= {"amp": True, "amp_dtype": dtype.removeprefix("torch.")}
    if seen.has_scaler:
        described["grad_scaler"] = True
    return described


def describe_process() -> dict[str, Any]:
    """Return what decides of the results of the whole process: its seed, its determinism, who else trains."""
    described: dict[str, Any] = {
        "seed": torch.initial_seed(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
    }
    if torch.cuda.is_available():
        described |= {
            "cudnn_deterministic": torch.backends.cudnn.deterministic,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
        }
    return described | describe_job()


def _log_summary(run: ActiveRun, model: Any, seen: Seen, number: int) -> None:
    name = "model_summary.txt" if number == 1 else f"model_summary_{number}.txt"
    run.log_content(name, summarize(model, seen.losses[-1].inputs if seen.losses else None).encode())
