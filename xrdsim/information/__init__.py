"""What a curve tells of its parameters: sensitivities and Fisher information."""
