from setuptools import setup

setup(
    name="trainer",
    version="0.1",
    description="Logistic regression with checkpoints",
    packages=["trainer"],
    package_data={"trainer": ["data.csv"]},
    python_requires=">=3.7",
)
