"""Raw HL7 messages, durable before anything else happens; what was answered; what people must look at."""
