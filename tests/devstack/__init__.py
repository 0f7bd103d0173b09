"""The DevStack plugin, run by DevStack's own functions."""
