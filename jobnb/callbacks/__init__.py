"""Callbacks of machine learning libraries: a training that runs in a job reports its progress, and can be stopped.

Each file is for one library and imports it; give its `JobProgress` to the training as one of its callbacks. Outside of
jobs they do nothing.

    from jobnb.callbacks.lightgbm import JobProgress
    lightgbm.train(params, data, num_boost_round=500, callbacks=[JobProgress()])

lightgbm, xgboost and scikit-learn are tested against the libraries themselves in CI. The others were tried by hand
against Keras 3.15 (on torch 2.13), Lightning 2.6 and transformers 5.24: progress, metrics, stopping; in CI they run
against doubles of the documented interfaces, because of the size of torch. None of them is needed where the library's
own bar is one of tqdm or rich and shown: a job follows that by itself.
"""
