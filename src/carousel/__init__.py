"""The complete LSTM as software: public names, imported when they are first used."""
