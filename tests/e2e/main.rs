//! The stories, one module each, and the rules of the house. One binary, so that it links once.

mod adverts;
mod buffer;
mod care;
mod clocks;
mod coverage;
mod cursors;
mod delivery;
mod discreet;
mod field;
mod foreign;
mod forgery;
mod full;
mod home;
mod hostile;
mod identity;
mod page;
mod past;
mod paths;
mod research;
mod restore;
mod service;
mod streams;
mod support;
mod tidy;
mod waves;
mod weak;
