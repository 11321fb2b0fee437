"""Record TensorFlow: loops around ``tf.GradientTape``, eager ones and those inside of ``tf.function``.

A loop is made of calls that are ordinary by themselves: a loss, ``tape.gradient``, ``optimizer.apply_gradients``,
``metric.result``. These are listened to, each for well under a microsecond; what they come to is the business of
``tensorflow_steps`` and its siblings. Keras' own ``fit`` is a training, in which nothing here has anything to say.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from autolog.guard import report
from autolog.hooks import Integration
from autolog.training import current_training

tensorflow: Final = Integration("tensorflow", requires="tensorflow>=2.16")

_OPTIMIZER: Final = "keras.src.optimizers.base_optimizer:BaseOptimizer"
_KERAS_LOSSES: Final = (
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "dice",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
)


@functools.cache
def _steps() -> Any:
    # An import statement that finds the module there takes longer than what most listeners do.
    from autolog.integrations import tensorflow_steps

    return tensorflow_steps


@functools.cache
def _graphs() -> Any:
    from autolog.integrations import tensorflow_graphs

    return tensorflow_graphs


@tensorflow.listen("tensorflow.python.eager.backprop:GradientTape.gradient")
def gradient(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note what is differentiated: the loss of the step that follows."""
    if current_training() is None:
        _steps().note_gradient(*args[:3])


@tensorflow.listen(f"{_OPTIMIZER}.apply")
def apply(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Record a step, or that one is being traced."""
    if current_training() is None:
        _steps().note_step(args[0], args[2])


@tensorflow.listen(f"{_OPTIMIZER}.__init__")
def make_optimizer(_: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note an optimizer that is made while a loop goes on: its steps will be those of another."""
    _steps().note_optimizer(args[0])


@tensorflow.listen(f"{_OPTIMIZER}._get_current_learning_rate")
def compute_learning_rate(result: Any, _: tuple[Any, ...], __: dict[str, Any]) -> None:
    """Note the learning rate that a schedule has for a step."""
    if current_training() is None:
        _steps().note_learning_rate(result)


@tensorflow.listen(
    f"{_OPTIMIZER}.scale_loss", "keras.src.optimizers.loss_scale_optimizer:LossScaleOptimizer.scale_loss"
)
def scale_loss(result: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """Note the loss that is differentiated in a larger scale."""
    if current_training() is None:
        _steps().note_scaled_loss(result, args[1])


@tensorflow.listen("keras.src.losses.loss:Loss.__call__")
def compute_loss(result: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """Note which loss the loop computes."""
    if current_training() is None:
        _steps().note_loss(args[0], result)


def _listen_to_function(module: str, name: str) -> None:
    @tensorflow.listen(f"{module}:{name}")
    def compute_loss(result: Any, _: tuple[Any, ...], __: dict[str, Any]) -> None:
        if current_training() is None:
            _steps().note_loss(name.removesuffix("_v2"), result)


for _name in _KERAS_LOSSES:
    _listen_to_function("keras.src.losses.losses", _name)
_listen_to_function("tensorflow.python.ops.nn_ops", "softmax_cross_entropy_with_logits_v2")
_listen_to_function("tensorflow.python.ops.nn_ops", "sparse_softmax_cross_entropy_with_logits_v2")
_listen_to_function("tensorflow.python.ops.nn_impl", "sigmoid_cross_entropy_with_logits_v2")


@tensorflow.listen("tensorflow.python.eager.polymorphic_function.polymorphic_function:Function.__call__")
def call_function(result: Any, args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """Record the steps that a ``tf.function`` has done."""
    if current_training() is None:
        _graphs().note_call(args[0], result)


@tensorflow.attach("keras.src.layers.layer")
def watch_layers(module: ModuleType) -> Callable[[], object]:
    """Know whose variables are trained, of Keras' models."""
    return _watch_variables(module.Layer)


@tensorflow.attach("tensorflow.python.module.module")
def watch_modules(module: ModuleType) -> Callable[[], object]:
    """Know whose variables are trained, of ``tf.Module``."""
    return _watch_variables(module.Module)


def _watch_variables(owner: Any) -> Callable[[], object]:
    from autolog.rerouting import follow

    def note(_: Any, result: Any, args: tuple[Any, ...], __: dict[str, Any]) -> None:
        try:
            _steps().note_owner(args[0], result)
        except Exception as error:  # noqa: BLE001  as of a listener
            report("noting whose variables are trained", error)

    return follow(owner.trainable_variables.fget, note).undo


@tensorflow.attach("keras.src.metrics.metric")
def watch_metrics(module: ModuleType) -> Callable[[], object]:
    """Record the results of metrics, those of the user's own classes included."""
    from autolog.integrations.tensorflow_metrics import watch_results

    return watch_results(module.Metric)
