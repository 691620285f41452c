"""What a modality may ask for: items planned from orders, the matching of a query, the answer's data set."""
