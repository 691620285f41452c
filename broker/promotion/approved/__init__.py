"""The settings that Production serves: asked for by one person, approved by another."""
