"""Checkpoints of the Hugging Face decoder families (Llama, Qwen2, Qwen3, Mistral, SmolLM2): reading, writing, reference model, extending."""
