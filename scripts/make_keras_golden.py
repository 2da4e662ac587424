"""Networks made by Keras, with what it predicts, to hold tunesmith against; and what Keras predicts from files that tunesmith wrote.

    python scripts/make_keras_golden.py make tests/model/sources/keras_golden        with Keras: the files that the tests read
    python scripts/make_keras_golden.py write tests/model/sources/keras_golden OUT   with tunesmith: reads them and writes them again, with what it predicts
    python scripts/make_keras_golden.py check OUT                                    with Keras: exit code 1 where it predicts anything else, by more than 1e-5

Keras is no dependency of tunesmith: it needs an environment of its own, `pip install keras h5py torch`, or, of Keras 2, `pip install tensorflow-cpu==2.15.1` (`make` then writes
the files whose names begin with `keras2`). NAME.json is {"rows": [tokens or numbers of each row], "probabilities": [of each row]}.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")

WORDS, LENGTH, COLUMNS = 30, 8, 5
TOLERANCE = 1e-5
LENGTHS = (8, 5, 3, 6)


def networks() -> dict[str, Any]:
    """Every kind of layer that tunesmith reads, in as few networks."""
    import keras
    from keras import layers as L

    words, fixed, numbers = keras.Input((None,), dtype="int32"), keras.Input((LENGTH,), dtype="int32"), keras.Input((COLUMNS,))
    x = L.Embedding(WORDS, 4, mask_zero=True)(words)
    x = L.GRU(3, reset_after=False, return_sequences=True)(x)
    x = L.SimpleRNN(4, go_backwards=True, activation="relu")(x)
    x = L.Dropout(0.2)(L.LayerNormalization()(x))
    functional = keras.Model(words, L.Dense(1, activation="sigmoid")(L.Dense(5, activation="gelu")(x)))
    standard = L.Normalization()
    standard.adapt(np.random.default_rng(3).normal(3, 5, (20, COLUMNS)).astype("float32"))
    return {
        "functional": functional,
        "both-ways": keras.Sequential([
            keras.Input((None,), dtype="int32"), L.Embedding(WORDS, 4, mask_zero=True),
            L.Bidirectional(L.GRU(3, return_sequences=True)), L.Bidirectional(L.LSTM(3), merge_mode="sum"), L.Dense(3, activation="softmax"),
        ]),
        "averaged": keras.Sequential([
            keras.Input((None,), dtype="int32"), L.Embedding(WORDS, 4, mask_zero=True),
            L.Bidirectional(L.SimpleRNN(3, return_sequences=True), merge_mode="ave"),
            L.Bidirectional(L.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid"), merge_mode="mul"),
            L.GlobalAveragePooling1D(), L.Dense(4, use_bias=False), L.Activation("softmax"),
        ]),
        "convolved": keras.Sequential([
            keras.Input((None,), dtype="int32"), L.Embedding(WORDS, 6), L.Conv1D(6, 3, activation="relu"), L.Conv1D(4, 2, padding="same", strides=2),
            L.Conv1D(4, 2, padding="causal", dilation_rate=2, groups=2), L.GlobalMaxPooling1D(), L.Dense(3, activation="softmax"),
        ]),
        "one-length": keras.Sequential([
            fixed, L.Embedding(WORDS, 4, mask_zero=True), L.LSTM(3, return_sequences=True), L.Flatten(), L.Dense(2, activation="softmax"),
        ]),
        "columns": keras.Sequential([numbers, standard, L.Dense(6, activation="tanh"), L.Dense(4, activation="selu"), L.Dense(3, activation="softmax")]),
        "convolved-flat": keras.Sequential([
            fixed, L.Embedding(WORDS, 4), L.Conv1D(5, 3, activation="relu", padding="same"), L.Conv1D(3, 2, strides=2), L.Flatten(), L.Dense(3, activation="softmax"),
        ]),
    }  # fmt: skip


def make(folder: Path) -> None:
    """Write NAME.h5 and NAME.json of each network."""
    import keras
    from keras import layers as L

    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(1)
    is_keras_2 = keras.__version__.startswith("2")
    draw = np.random.default_rng(0)
    for name, network in networks().items():
        standard = [layer for layer in network.layers if isinstance(layer, L.Normalization)]
        for layer in network.layers:
            if layer not in standard:
                layer.set_weights([draw.normal(0, 0.6, array.shape).astype("float32") for array in layer.get_weights()])
        rows: list[list[float]] = (
            draw.normal(3, 5, (4, COLUMNS)).round(2).tolist()
            if name == "columns"
            else [draw.integers(2, WORDS, size).tolist() for size in LENGTHS]
        )
        filled = [[0] * (LENGTH - len(row)) + row if network.input_shape[1] == LENGTH else row for row in rows]
        said = [network.predict(np.array([row]), verbose=0)[0].tolist() for row in filled]
        own = f"keras2-{name}" if is_keras_2 else name
        network.save(folder / f"{own}.h5")
        (folder / f"{own}.json").write_text(json.dumps({"rows": rows, "probabilities": said}) + "\n", encoding="utf-8")
        print(f"{own}.h5: {(folder / f'{own}.h5').stat().st_size:,} bytes")


def write(golden: Path, folder: Path) -> None:
    """Read every network of a folder as tunesmith does, write it as tunesmith does, and NAME.json beside it."""
    sys.path[:0] = ["tests", "."]
    from keras_files import golden_rows, load_file, predicted

    from tunesmith.core.errors import ModelError
    from tunesmith.model.export.keras import write_h5

    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(golden.glob("*.h5")):
        model, head, labels = load_file(file, folder)
        rows, _ = golden_rows(file.stem)
        try:
            write_h5(model.trunk, {head.name: head}, labels, model.tokenizer, folder / file.name)
        except ModelError as error:
            print(error)
            continue
        known = {"rows": rows, "probabilities": predicted(model, head, rows).tolist()}
        (folder / f"{file.stem}.json").write_text(json.dumps(known) + "\n", encoding="utf-8")


def check(folder: Path) -> int:
    """Hold what Keras predicts from files against what tunesmith predicted. Returns: the exit code."""
    import keras

    differences = []
    for file in sorted(folder.glob("*.h5")):
        known = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        network = keras.models.load_model(file, compile=False)
        length = network.input_shape[1]
        filled = [[0] * ((length or len(row)) - len(row)) + row for row in known["rows"]]
        said = np.array([network.predict(np.array([row]), verbose=0)[0] for row in filled])
        differences.append(float(np.abs(said - np.array(known["probabilities"])).max()))
        print(f"Keras {keras.__version__}, {file.name}: {len(filled)} rows, the largest difference is {differences[-1]:.1e}")
    return int(not differences or not max(differences) <= TOLERANCE)


MODES: dict[str, tuple[int, Callable[..., int | None]]] = {"make": (1, make), "write": (2, write), "check": (1, check)}

if __name__ == "__main__":
    mode, folders = sys.argv[1:2], [Path(name) for name in sys.argv[2:]]
    if not mode or mode[0] not in MODES or len(folders) != MODES[mode[0]][0]:
        sys.exit(__doc__)
    sys.exit(MODES[mode[0]][1](*folders))
