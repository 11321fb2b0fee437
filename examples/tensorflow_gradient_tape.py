"""TensorFlow: a loop around ``tf.GradientTape``, with its step in ``tf.function``, and curves for TensorBoard."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import autolog

autolog.enable(experiment="digits with TensorFlow")

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split((X / 16).astype("float32"), y, random_state=0)
batches = tf.data.Dataset.from_tensor_slices((X_train, y_train)).shuffle(2000, seed=0).batch(64, drop_remainder=True)

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [keras.Input((64,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(10)], name="digits"
)
optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, decay_steps=105))
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
train_accuracy = keras.metrics.SparseCategoricalAccuracy(name="train_accuracy")
val_accuracy = keras.metrics.SparseCategoricalAccuracy(name="val_accuracy")
writer = tf.summary.create_file_writer("logs")


@tf.function
def train_step(features, labels):
    with tf.GradientTape() as tape:
        logits = model(features, training=True)
        loss = cross_entropy(labels, logits)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    train_accuracy.update_state(labels, logits)
    return loss


for epoch in range(5):
    for features, labels in batches:
        loss = train_step(features, labels)
    val_accuracy.update_state(y_test, model(X_test))
    # What is asked of a metric is recorded, and so is what is written for TensorBoard.
    print(f"epoch {epoch}: {float(train_accuracy.result()):.3f} {float(val_accuracy.result()):.3f}")
    with writer.as_default():
        tf.summary.histogram("hidden weights", model.layers[0].kernel.value, step=epoch)
    train_accuracy.reset_state()
    val_accuracy.reset_state()
