"""Columns of the frame of cells: what the aggregator knows of each one."""

import polars as pl

DataType = pl.DataType | type[pl.DataType]
Schema = dict[str, DataType]

CURVE = pl.List(pl.Struct({"step": pl.Int64, "value": pl.Float64}))
"""Points of a training curve; a value is null where it was not finite."""

TIME = pl.Datetime("us", "UTC")

HYPERPARAMETERS = ("learning_rate", "batch_size", "warmup_ratio", "init_seed", "order_seed")
"""Hyperparameters that are columns; ``seed`` is the cell's own."""

IDENTITY = ("stage", "source", "source_id", "target", "seed", *HYPERPARAMETERS)
"""Columns that tell a cell from others."""

CELLS = "cells.parquet"
"""Every column of every cell, in a study's summary folder."""

DESCRIBED: dict[str, tuple[DataType, str]] = {
    "study": (pl.String, "name of the study"),
    "cell": (pl.String, "the run's id; for a source the source's own"),
    "stage": (pl.String, "target, evaluate (scored without training) or source"),
    "source": (pl.String, "source's name in tables; none for the pretrained model"),
    "source_id": (pl.String, "id of the source's training; null for none"),
    "source_task": (pl.String, "task of the source; null for none"),
    "source_size": (pl.Int64, "training rows of the source; null for all, and for none"),
    "source_seed": (pl.Int64, "seed of the source's training; null for none"),
    "target": (pl.String, "name of the target task"),
    "learning_rate": (
        pl.Float64,
        "the highest of the schedule; null for an evaluation",
    ),
    "batch_size": (pl.Int64, "effective batch size; null for an evaluation"),
    "warmup_ratio": (pl.Float64, "share of the updates in which the rate rises; null likewise"),
    "seed": (pl.Int64, "the run's seed; never null"),
    "init_seed": (pl.Int64, "seed of fresh weights; null where the seed serves"),
    "order_seed": (pl.Int64, "seed of the rows' order; null where the seed serves"),
    "status": (pl.String, "ok, diverged (the loss was not finite), failed or missing"),
    "kind": (
        pl.String,
        "classification, multiple-choice or regression: the target's",
    ),
    "metric": (pl.String, "the target's"),
    "score": (pl.Float64, "dev score by the metric, a fraction; null unless status is ok"),
    "accuracy": (pl.Float64, "dev accuracy, a fraction"),
    "mcc": (pl.Float64, "Matthews correlation on dev, from -1 to 1"),
    "dev_loss": (pl.Float64, "mean loss on dev, in nats; in regression the squared error"),
    "majority": (pl.Float64, "score of the best constant answer; null without a result"),
    "chance": (pl.Float64, "score of a random guess; null for F1 without a result"),
    "classes": (pl.Int64, "K, classes or options; 1 in regression"),
    "train_rows": (pl.Int64, "training rows"),
    "dev_rows": (pl.Int64, "dev rows"),
    "data": (pl.String, "digest of the target's rows"),
    "ties": (pl.Int64, "dev examples whose best two or more options had equal scores"),
    "constant": (
        pl.Boolean,
        "all predictions are of one class; in regression all but equal",
    ),
    "predictions": (pl.String, "one base-36 digit for each dev example; in regression the numbers"),
    "gold": (pl.String, "labels of the dev examples, written as predictions are"),
    "carried": (
        pl.String,
        "modules that have the start model's weights; null without training",
    ),
    "fresh": (pl.String, "modules with weights drawn anew; null without training"),
    "updates": (pl.Int64, "updates of the weights"),
    "examples": (pl.Int64, "examples of one pass at most, by the grid; null for an evaluation"),
    "chunk": (
        pl.Int64,
        "the same, as it was: fewer where memory ran out; null if not told",
    ),
    "final_loss": (pl.Float64, "mean training loss of the last tenth of the updates, as dev_loss"),
    "lowest_loss": (pl.Float64, "lowest mean training loss over any tenth of the updates"),
    "loss": (CURVE, "training loss: update, and mean since the last point"),
    "gradient_norm": (CURVE, "norm of the gradient before clipping, likewise"),
    "tokens_real": (pl.Int64, "training tokens without padding"),
    "tokens_computed": (pl.Int64, "positions computed in training: tokens and padding"),
    "seconds": (pl.Float64, "load, encode, train and evaluate, of interrupted attempts, too"),
    "train_seconds": (pl.Float64, "training alone, of interrupted attempts, too"),
    "started": (TIME, "when its first attempt began, in UTC"),
    "finished": (TIME, "when the result, or the failure, was written, in UTC"),
    "host": (pl.String, "name of the machine"),
    "job": (pl.String, "SLURM's id of the array element; null without SLURM"),
    "attempt": (pl.Int64, "attempts that it took, interrupted ones among them"),
    "device": (pl.String, "name of the GPU, or cpu and the kind of processor"),
    "peak_memory": (
        pl.Int64,
        "most bytes: of the GPU, else of the process with what it ran before",
    ),
    "energy": (
        pl.Float64,
        "joules of the GPU during the run; null where it does not tell",
    ),
    "commit": (pl.String, "git commit of the code"),
    "code": (pl.String, "digest of the code that decided the result"),
    "taken_from": (pl.String, "study that it was taken over from; null where it ran for this one"),
    "start": (pl.String, "SHA-256 of its source's weights; null for none, and where not told"),
    "failure_kind": (pl.String, "kind of the failure; null unless status is failed"),
    "failure_message": (pl.String, "what the failure said"),
    "log": (pl.String, "log of a failed run, relative to the study's folder; else null"),
}
"""Columns of the frame of cells, in order, and what each means. Rows stand in the grid's order."""

FRAME: Schema = {name: kind for name, (kind, _) in DESCRIBED.items()}
"""Their types."""

WIDE_COLUMNS = ("predictions", "gold", "loss", "gradient_norm")
"""The four columns that are nine tenths of a frame."""

NARROW = tuple(name for name in FRAME if name not in WIDE_COLUMNS)
"""All others."""
