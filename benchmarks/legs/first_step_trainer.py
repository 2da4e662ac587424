"""How soon a script with transformers' Trainer and peft, as its documentation writes one, has done its first training step on the data of `reviews`."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)


class _Stop(TrainerCallback):
    def __init__(self, file: Path) -> None:
        self._file = file

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The first step is done."""
        self._file.write_text(repr(time.time()), encoding="utf-8")
        control.should_training_stop = True


def main() -> None:
    """Command line: the folder with texts.json, and the file to write."""
    folder, file = Path(sys.argv[1]), Path(sys.argv[2])
    given = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(given["model"])
    tokens = tokenizer(given["texts"], truncation=True, max_length=given["max_length"])["input_ids"]
    rows: Any = [{"input_ids": row, "labels": label} for row, label in zip(tokens, given["labels"], strict=True)]
    base = AutoModelForSequenceClassification.from_pretrained(given["model"], num_labels=len(set(given["labels"])))
    model: Any = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="SEQ_CLS"))
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=32,
        learning_rate=5e-4,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    collate = DataCollatorWithPadding(tokenizer)
    Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate, callbacks=[_Stop(file)]).train()


if __name__ == "__main__":
    main()
