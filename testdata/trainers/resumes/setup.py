from setuptools import setup

setup(
    name="trainer",
    version="0.1",
    description="Stochastic gradient descent that survives the loss of its machine",
    packages=["trainer"],
    python_requires=">=3.7",
)
