"""The commands of `touchline`, one module each; `streams.cli` lists them."""
