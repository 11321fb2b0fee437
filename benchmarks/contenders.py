"""Who is measured: autolog, the peers with the versions that they are measured in, and the stores of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

# What the subjects themselves need in every environment.
_COMMON: Final = ("numpy==2.4.6", "psutil==7.2.2", "pyperf==2.10.0")


@dataclass(frozen=True)
class Tool:
    """A tool that logs; ``subjects/tools/`` holds a file of its name.

    ``requirements`` are installed into an environment of its own; none means the one that the benchmarks run in.
    ``variables`` keep it off the network and out of the home folder; ``{folder}`` is where its subject writes.
    ``stores`` are those it is measured with: a title, and the kind of autolog's store that it is held against.
    ``longest`` is the seconds that one process may take.
    """

    name: str
    title: str
    module: str
    stores: dict[str, tuple[str, str]]
    requirements: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    longest: float = 600.0


AUTOLOG: Final = Tool(
    "autolog",
    "autolog",
    "autolog",
    stores={
        "file": ("files", "file"),
        "sqlite": ("SQLite", "sqlite"),
        "postgresql": ("PostgreSQL", "postgresql"),
        "mariadb": ("MariaDB", "mariadb"),
    },
)
# Not a tool, but the least that one can do: keep what it is given in a list.
NONE: Final = Tool("none", "none", "math", stores={})
# autolog in an environment that has torch, for the loops that need it.
TORCH: Final = Tool(
    "torch",
    "PyTorch",
    "torch",
    stores={},
    requirements=(
        *("torch==2.13.0", "SQLAlchemy==2.1.9", "alembic==1.20.1", "fsspec==2026.9.0", "lark==1.3.1"),
        *("msgspec==0.22.0", "rich==15.0.0", "typer==0.29.2", "wrapt==2.5.2", "xxhash==4.1.0", *_COMMON),
    ),
)
_MLFLOW_VARIABLES: Final = {
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
# MLflow in an environment that has what it records of neural networks.
MLFLOW_NETWORKS: Final = Tool(
    "mlflow_networks",
    "MLflow for networks",
    "mlflow",
    stores={},
    requirements=(
        *("mlflow==3.17.2", "torch==2.13.0", "keras==3.15.1", "lightning==2.6.6", "scikit-learn==1.9.1", *_COMMON),
    ),
    variables=_MLFLOW_VARIABLES,
)
PEERS: Final = (
    Tool(
        "mlflow",
        "MLflow",
        "mlflow",
        stores={"file": ("files", "file"), "sqlite": ("SQLite", "sqlite"), "async": ("SQLite, async", "sqlite")},
        requirements=("mlflow==3.17.2", "scikit-learn==1.9.1", "xgboost-cpu==3.2.0", "lightgbm==4.7.0", *_COMMON),
        variables=_MLFLOW_VARIABLES,
    ),
    Tool(
        "wandb",
        "Weights & Biases",
        "wandb",
        stores={"offline": ("offline", "file")},
        requirements=("wandb==0.31.0", *_COMMON),
        variables={
            "WANDB_MODE": "offline",
            "WANDB_SILENT": "true",
            "WANDB_CONSOLE": "off",
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_DIR": "{folder}/store",
            "WANDB_CACHE_DIR": "{folder}/cache",
            "WANDB_CONFIG_DIR": "{folder}/config",
            "WANDB_DATA_DIR": "{folder}/data",
        },
    ),
    Tool(
        "tensorboard",
        "TensorBoard",
        "tensorboardX",
        # tensorboardX is the SummaryWriter that needs no torch; tensorboard itself only has the reading side.
        stores={"events": ("tensorboardX", "file")},
        requirements=("tensorboardX==2.6.5", *_COMMON),
    ),
    Tool(
        "trackio",
        "trackio",
        "trackio",
        stores={"local": ("local", "sqlite")},
        requirements=("trackio==0.43.0", *_COMMON),
        variables={
            "TRACKIO_DIR": "{folder}/store",
            "HF_HOME": "{folder}/huggingface",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
        },
    ),
    Tool(
        "aim",
        "Aim",
        "aim",
        stores={"local": ("local", "file")},
        requirements=("aim==3.29.1", *_COMMON),
        variables={"AIM_ANALYTICS_ENABLED": "0", "AIM_UI_TELEMETRY_ENABLED": "0"},
    ),
    Tool(
        "clearml",
        "ClearML",
        "clearml",
        stores={"offline": ("offline", "file")},
        requirements=("clearml==2.1.12", *_COMMON),
        variables={
            "CLEARML_OFFLINE_MODE": "1",
            "CLEARML_CACHE_DIR": "{folder}/store",
            "CLEARML_CONFIG_FILE": "{folder}/clearml.conf",
            "CLEARML_LOG_LEVEL": "ERROR",
        },
        # Now and then it waits for ever for the process that it reports by; what ends takes less than half of this.
        longest=60.0,
    ),
)
TOOLS: Final = {tool.name: tool for tool in (NONE, AUTOLOG, TORCH, MLFLOW_NETWORKS, *PEERS)}


@dataclass(frozen=True)
class Contender:
    """A tool with one of its stores, in one variant; ``name`` is what the results call it."""

    tool: str
    store: str | None = None
    variant: str | None = None

    @property
    def name(self) -> str:
        return "-".join(part for part in (self.tool, self.store, self.variant) if part)

    @property
    def title(self) -> str:
        tool = TOOLS[self.tool]
        store = tool.stores[self.store][0] if self.store else None
        return ", ".join(part for part in (tool.title, store, self.variant) if part)

    @property
    def rivals(self) -> list[str]:
        """The names of autolog's contenders that this one is held against, the closest first."""
        if self.tool in {"autolog", "none"}:
            return []
        stores = [TOOLS[self.tool].stores[self.store][1]] if self.store else []
        return [f"autolog-{store}" for store in (*stores, "file")] + ["autolog"]


def parse_contender(name: str) -> Contender:
    """Return the contender of a name in the results."""
    return Contender(*name.split("-", 2))


def place_of(name: str) -> tuple[int, int, str]:
    """Return what contenders are sorted by: nothing, autolog, and the peers in the order of the table."""
    contender = parse_contender(name)
    stores = list(TOOLS[contender.tool].stores)
    store = stores.index(contender.store) if contender.store else -1
    return list(TOOLS).index(contender.tool), store, contender.variant or ""
