"""The fluent functions that log files: MLflow's names, signatures and layouts."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from autolog.api.runs import get_run, search_runs, use_run
from autolog.errors import InvalidParameter, MissingDependency, NotFound

if TYPE_CHECKING:
    import pandas


def log_artifact(
    local_path: str | os.PathLike[str], artifact_path: str | None = None, run_id: str | None = None
) -> None:
    """Log a file, as it is at this moment, as an artifact.

    Args:
        local_path: the file; of a folder, everything below it.
        artifact_path: folder below the run's artifact folder.
        run_id: another run than the active one.

    Raises:
        NotFound: there is no such file.
        InvalidParameter: the artifact path would leave the artifact folder.
    """
    path = Path(local_path)
    if not path.exists():
        raise NotFound(f"there is no file {os.fspath(local_path)!r} to log")
    if path.is_dir():
        log_artifacts(path, _join(artifact_path, path.name), run_id)
    else:
        use_run(run_id).log_file(_join(artifact_path, path.name), _copy_from(path))


def log_artifacts(
    local_dir: str | os.PathLike[str], artifact_path: str | None = None, run_id: str | None = None
) -> None:
    """Log every file below a folder. Raises as ``log_artifact`` does."""
    folder = Path(local_dir)
    if not folder.is_dir():
        raise NotFound(f"there is no folder {os.fspath(local_dir)!r} to log")
    run = use_run(run_id)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        run.log_file(_join(artifact_path, file.relative_to(folder).as_posix()), _copy_from(file))


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Log a text as an artifact, in UTF-8."""
    use_run(run_id).log_content(artifact_file, text.encode(errors="replace"))


def log_stream(stream: IO[bytes], artifact_file: str, run_id: str | None = None) -> None:
    """Log what a binary stream holds from its present position on, as an artifact."""
    import shutil

    def copy(file: Path) -> None:
        with file.open("wb") as sink:
            shutil.copyfileobj(stream, sink)

    use_run(run_id).log_file(artifact_file, copy)


def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Log a dict or list as JSON, or as YAML where the file's name ends in .yaml or .yml."""
    if PurePosixPath(artifact_file).suffix in {".yaml", ".yml"}:
        try:
            import yaml
        except ModuleNotFoundError as error:
            raise MissingDependency("the package 'pyyaml' is needed to log YAML: pip install pyyaml") from error
        text = yaml.safe_dump(dictionary, sort_keys=False, allow_unicode=True)
    else:
        text = json.dumps(dictionary, indent=2, default=str, ensure_ascii=False)
    log_text(text, artifact_file, run_id)


def log_figure(
    figure: Any, artifact_file: str, *, save_kwargs: Mapping[str, Any] | None = None, run_id: str | None = None
) -> None:
    """Log a matplotlib or plotly figure in the format that the file's name ends in."""
    suffix = PurePosixPath(artifact_file).suffix
    options = dict(save_kwargs or {})

    def draw(file: Path) -> None:
        with _named(file, suffix) as target:
            if hasattr(figure, "savefig"):
                figure.savefig(target, **options)
            elif hasattr(figure, "write_html"):
                (figure.write_html if suffix == ".html" else figure.write_image)(str(target), **options)
            else:
                raise InvalidParameter(f"log_figure takes a matplotlib or plotly figure, not a {type(figure).__name__}")

    use_run(run_id).log_file(artifact_file, draw)


def log_image(
    image: Any,
    artifact_file: str | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
) -> None:
    """Log an image: a PIL image, or an array of shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4).

    Args:
        image: of an array, integers are 0 to 255 and floats 0 to 1.
        artifact_file: the file to write; give this or ``key``.
        key: name of a series of images, kept below ``images/`` with the step in its name, as MLflow does.
        step: of the series; 0 where it is not given.
        timestamp: milliseconds since the epoch; now where it is not given.
        synchronous: True waits until the store has it.
        run_id: another run than the active one.

    Raises:
        InvalidParameter: neither or both of file and key are given, or the image is of another shape.
        MissingDependency: Pillow is not installed.
    """
    if (artifact_file is None) == (key is None):
        raise InvalidParameter("give either artifact_file or key to log_image")
    if artifact_file is None:
        moment = time.time_ns() // 1_000_000 if timestamp is None else timestamp
        safe = str(key).replace("/", "#")
        artifact_file = f"images/{safe}+step+{step or 0}+timestamp+{moment}+{uuid.uuid4()}.png"
    suffix = PurePosixPath(artifact_file).suffix or ".png"
    picture = _to_picture(image)

    def save(file: Path) -> None:
        with _named(file, suffix) as target:
            picture.save(target)

    run = use_run(run_id)
    run.log_file(artifact_file, save)
    if synchronous:
        run.flush()


def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Log a dict of columns or a pandas DataFrame as a table; rows are added to one that is there already.

    Args:
        data: the rows.
        artifact_file: ending in ``.json`` (pandas' split form, as MLflow writes it) or ``.parquet``.
        run_id: another run than the active one.

    Raises:
        InvalidParameter: the name ends in something else, or the data is no table.
        MissingDependency: pandas is not installed.
    """
    from autolog.frames import append_table

    append_table(use_run(run_id), data, artifact_file)


def load_table(
    artifact_file: str, run_ids: Sequence[str] | None = None, extra_columns: Sequence[str] | None = None
) -> pandas.DataFrame:
    """Return the tables that runs have logged under a name, one below the other.

    Args:
        artifact_file: the name.
        run_ids: of these runs; of every run of the current experiment where it is not given.
        extra_columns: columns of ``search_runs``, such as ``run_id``, to put beside every row.

    Raises:
        NotFound: no run has such a table, or there is no run with an id.
        InvalidParameter: an extra column is none of ``search_runs``, or is the table's own.
        MissingDependency: pandas is not installed.
    """
    from autolog.frames import load_tables

    runs = search_runs(output_format="list") if run_ids is None else [get_run(run_id) for run_id in run_ids]
    return load_tables(runs, artifact_file, extra_columns or ())


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """Return the URL of the active run's artifact folder, or of a path below it."""
    base = use_run().info.artifact_uri
    return base if artifact_path is None else f"{base.rstrip('/')}/{artifact_path}"


class _named:  # noqa: N801  it reads as a statement
    """A path that ends in a suffix, whose content goes to a staged file that has none."""

    def __init__(self, file: Path, suffix: str) -> None:
        self._file = file
        self._target = file.with_name(file.name + suffix)

    def __enter__(self) -> Path:
        return self._target

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._target.replace(self._file)
        else:
            self._target.unlink(missing_ok=True)


def _copy_from(source: Path) -> Any:
    import shutil

    def copy(file: Path) -> None:
        shutil.copyfile(source, file)

    return copy


def _join(folder: str | None, name: str) -> str:
    return name if not folder else f"{folder.rstrip('/')}/{name}"


def _to_picture(image: Any) -> Any:
    if hasattr(image, "save"):
        return image
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "the package 'pillow' is needed to log an array as an image: pip install pillow"
        ) from error
    import numpy as np

    array = np.asarray(image)
    if array.dtype.kind == "f":
        array = (array.clip(0, 1) * 255).astype(np.uint8)
    if array.ndim == 3 and array.shape[2] == 1:  # noqa: PLR2004  one channel
        array = array[:, :, 0]
    if array.ndim not in {2, 3} or (array.ndim == 3 and array.shape[2] not in {3, 4}):  # noqa: PLR2004  RGB, RGBA
        raise InvalidParameter(f"an image has the shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), not {array.shape}")
    return Image.fromarray(array.astype(np.uint8))
