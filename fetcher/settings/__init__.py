"""The sections of `config.toml`, each with its rules; `fetcher.config` puts them together."""
