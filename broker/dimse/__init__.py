"""The DICOM upper layer: associations in both directions. What is asked and answered is a value of `service.py`."""
