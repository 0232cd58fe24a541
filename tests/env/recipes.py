"""A value of every member of a recipe that is not the usual one."""

from __future__ import annotations

CHANGED = {
    "learning_rate": 0.02,
    "optimizer": "momentum",
    "momentum": 0.5,
    "weight_decay": 0.1,
    "batch_size": 8,
    "schedule": "constant",
    "warmup": 0.5,
    "label_smoothing": 0.2,
    "mixup": 0.5,
    "drop_path": 0.5,
    "ema_decay": 0.5,
    "dropout": 0.5,
}
