"""The worklist on paper."""
