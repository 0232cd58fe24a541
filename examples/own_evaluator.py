"""A search over scikit-learn pipelines by agents `prep`, `model`, `hpo`. `python examples/own_evaluator.py [BUDGET]`.

Any callable `(pipeline, *, seed) -> Result` is an evaluator. Decisions may be conditional: the number of components is
decided only where PCA was chosen, and never reaches the evaluator elsewhere.
"""

import sys
import time

from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace
from ma2ml_env.reward import accuracy

SCALERS = {"none": "passthrough", "standard": StandardScaler(), "range": MinMaxScaler()}
COMPONENTS = Decision("components", (1, 2, 4, 8), active={"pca": (True,)})
PREP = SearchSpace((Decision("scaler", tuple(SCALERS)), Decision("pca", (False, True)), COMPONENTS), dict)
WEIGHTS = Decision("weights", ("uniform", "distance"), active={"kind": ("neighbors",)})
KERNEL = Decision("kernel", ("linear", "rbf"), active={"kind": ("svm",)})
MODEL = SearchSpace((Decision("kind", ("neighbors", "svm")), WEIGHTS, KERNEL), dict)
HPO = SearchSpace((Decision("complexity", (0, 1, 2, 3, 4)),), dict)


def evaluate(pipeline, *, seed):
    """Returns the cross-validated accuracy of a scikit-learn pipeline on the breast cancer data."""
    started = time.monotonic()
    prep, model, complexity = pipeline["prep"], pipeline["model"], pipeline["hpo"]["complexity"]
    steps = [SCALERS[prep["scaler"]], PCA(prep["components"]) if prep["pca"] else "passthrough"]
    if model["kind"] == "svm":
        steps.append(SVC(kernel=model["kernel"], C=10.0 ** (complexity - 3)))
    else:
        steps.append(KNeighborsClassifier(2 ** (5 - complexity) - 1, weights=model["weights"]))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    score = cross_val_score(make_pipeline(*steps), *load_breast_cancer(return_X_y=True), cv=folds).mean()
    return Result(accuracy=score, flops=0, params=0, seconds=time.monotonic() - started)


env = AutoMLEnv({"prep": PREP, "model": MODEL, "hpo": HPO}, evaluate, accuracy, name="mine/cancer-v0")
learner = make_learner("gp", agent_specs(env), seed=0)
trials = run_search(env, learner, budget=int(sys.argv[1]) if len(sys.argv) > 1 else 40)
print(f"mean of the first five {sum(trial.reward for trial in trials[:5]) / 5:.3f}")
print(max(trials, key=lambda trial: trial.reward))
