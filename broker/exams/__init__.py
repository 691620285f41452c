"""The ledger of each exam, read from what the other stages recorded; identity checks; housekeeping."""
