"""The worklist of a day on paper: what stands on it (`page`), and as HTML or PDF (`as_html`, `as_pdf`, `fonts`)."""
