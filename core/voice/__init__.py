"""What a sentence means: from spoken or typed words to an intent, its facts and the slash command it stands for."""
