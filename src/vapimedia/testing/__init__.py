"""Fakes and judges: what a bridge is tested against, with no account and no network."""
