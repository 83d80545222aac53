//! The fold over small logs: order of deadlines, panics, replay.
