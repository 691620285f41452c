"""Who did what to what: rows for people's acts and for changes of configuration, in the transaction of the change."""
