//! Scenarios of the whole core.
