from setuptools import setup

setup(
    name="trainer",
    version="0.1",
    description="Linear regression on several machines, with a parameter server",
    packages=["trainer"],
    python_requires=">=3.7",
)
