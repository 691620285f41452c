"""What a destination's rule alters of an instance: patient and order attributes, set from the order it belongs to."""
