"""What an LSTM answers: estimators with fit, predict and score."""
