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

FRAME: Schema = {
    "study": pl.String,  # name of the study
    "cell": pl.String,  # id; for a source its own id
    "stage": pl.String,  # target | evaluate | source
    "source": pl.String,  # name in tables; "none" for the pretrained model
    "source_id": pl.String,  # null for none
    "source_task": pl.String,  # null for none
    "source_size": pl.Int64,  # training rows; null for all, and for none
    "source_seed": pl.Int64,  # null for none
    "target": pl.String,
    "learning_rate": pl.Float64,  # this and the next five are null for an evaluation
    "batch_size": pl.Int64,
    "warmup_ratio": pl.Float64,
    "seed": pl.Int64,  # never null
    "init_seed": pl.Int64,  # null where the seed serves
    "order_seed": pl.Int64,
    "status": pl.String,  # ok | diverged | failed | missing
    "kind": pl.String,  # classification | multiple-choice | regression; known for every cell
    "metric": pl.String,  # of the task; known for every cell
    "score": pl.Float64,  # fraction; null unless ok
    "accuracy": pl.Float64,
    "mcc": pl.Float64,
    "dev_loss": pl.Float64,  # nats; squared error in regression
    "majority": pl.Float64,  # score of the best constant answer; null without a result
    "chance": pl.Float64,  # score of a random guess; of F1 null without a result
    "classes": pl.Int64,  # K; 1 in regression; known for every cell
    "train_rows": pl.Int64,
    "dev_rows": pl.Int64,
    "data": pl.String,  # digest of the target's rows
    "ties": pl.Int64,
    "constant": pl.Boolean,  # predictions all of one class; in regression all but equal
    "predictions": pl.String,  # one base-36 digit per dev example; numbers in regression
    "gold": pl.String,
    "carried": pl.String,  # modules whose weights came from the start model
    "fresh": pl.String,  # modules that were drawn anew; both null without training
    "updates": pl.Int64,
    "examples": pl.Int64,  # of one pass at most, by the grid; null for an evaluation
    "chunk": pl.Int64,  # the same, as it was: fewer where memory ran out; null where not told
    "final_loss": pl.Float64,  # as dev_loss
    "lowest_loss": pl.Float64,
    "loss": CURVE,
    "gradient_norm": CURVE,
    "tokens_real": pl.Int64,
    "tokens_computed": pl.Int64,
    "seconds": pl.Float64,  # load + encode + train + evaluate
    "train_seconds": pl.Float64,
    "started": TIME,
    "finished": TIME,
    "host": pl.String,
    "job": pl.String,
    "attempt": pl.Int64,
    "device": pl.String,
    "peak_memory": pl.Int64,  # bytes: of the GPU, else of the process with what it ran before
    "energy": pl.Float64,  # joules of the device while it ran; null where it does not tell
    "commit": pl.String,
    "code": pl.String,
    "taken_from": pl.String,  # study that it was taken over from; null where run for this one
    "start": pl.String,  # SHA-256 of its source's weights; null for none, and where not told
    "failure_kind": pl.String,  # null unless failed
    "failure_message": pl.String,
    "log": pl.String,  # relative to the study's folder
}
"""Columns of the frame of cells, in order. Rows stand in the grid's order."""

WIDE_COLUMNS = ("predictions", "gold", "loss", "gradient_norm")
"""The four columns that are nine tenths of a frame."""

NARROW = tuple(name for name in FRAME if name not in WIDE_COLUMNS)
"""All others."""
