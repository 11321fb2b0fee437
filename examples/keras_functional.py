"""Keras: a functional model on handwritten digits, that stops early, goes on, and is evaluated, in one run."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

import autolog

autolog.enable(experiment="digits with Keras")

X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

keras.utils.set_random_seed(0)
pixels = keras.Input((64,), name="pixels")
hidden = keras.layers.Dense(32, activation="relu", name="hidden")(pixels)
digits = keras.layers.Dense(10, activation="softmax", name="digits")(hidden)
model = keras.Model(pixels, digits, name="digits")
model.compile(
    optimizer=keras.optimizers.Adam(0.005),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(
    X_train,
    y_train,
    epochs=8,
    batch_size=64,
    validation_split=0.2,
    callbacks=[
        keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau(patience=1),
    ],
    verbose=0,
)
model.evaluate(X_test, y_test, verbose=0)

# It begins with the epoch after the last one, so that it is one history.
model.fit(X_train, y_train, epochs=10, initial_epoch=8, batch_size=64, verbose=0)
model.evaluate(X_test, y_test, verbose=0)
print("f1", f1_score(y_test, model.predict(X_test, verbose=0).argmax(axis=1), average="macro"))
