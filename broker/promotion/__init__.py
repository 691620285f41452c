"""From Test to Production: evidence, plan, approval, apply and rollback of one modality. Serves no port."""
